import { readdir } from 'node:fs/promises';
import type { Logger } from '@lethe/platform/log/logger.ts';
import type { DataFolder } from './data-folder.ts';

/** A damaged file or folder that a repair kept. */
export interface KeptAside {
  /** Within the data folder. */
  readonly name: string;
  readonly sinceMs: number;
}

/** `log.sqlite` to `log.sqlite.damaged-2026-11-22T10-15-00Z`. */
export function asideName(file: string, nowMs: number): string {
  const moment = new Date(nowMs).toISOString().replace(/\.\d+/, '').replaceAll(':', '-');
  return `${file}.damaged-${moment}`;
}

const asidePattern = /\.damaged-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z(-wal|-shm)?$/;

/**
 * What repairs have kept aside, oldest first. It is a copy from before: sealed records of whoever is erased later stay
 * in it, unreadable once their keys are destroyed, until somebody deletes it.
 */
export async function listKeptAside({
  root,
}: Pick<DataFolder, 'root'>): Promise<readonly KeptAside[]> {
  const kept = (await readdir(root)).flatMap((name) => {
    const [, day, hours, minutes, seconds] = asidePattern.exec(name) ?? [];
    const sinceMs = Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`);
    return Number.isNaN(sinceMs) ? [] : [{ name, sinceMs }];
  });
  return kept.toSorted((a, b) => a.sinceMs - b.sinceMs || (a.name < b.name ? -1 : 1));
}

/** At a start: an operator who does not know of them would take erasures for complete. */
export async function warnOfKeptAside(folder: DataFolder, logger: Logger): Promise<void> {
  for (const { name } of await listKeptAside(folder)) {
    const problem = `${name} was kept by a repair: erasures do not reach what is in it; delete it once it is not needed`;
    logger.warn({ component: 'data-folder', problem }, 'a damaged file is kept');
  }
}
