import { z } from 'zod';
import { dataFiles, parseJsonFile, readIfThere } from '../connection/data-files.ts';
import { usageError } from '../failures/cli-error.ts';
import type { HelpDeskSettings } from '../generator/help-desk.ts';
import { writeFileSafely } from '../output/write-file.ts';

/**
 * How far the tour of a data folder is:
 * `loading` -> every event is acknowledged -> `loaded` -> the erasure was asked for -> `erasing` -> `completed`.
 */
export const tourStages = ['loading', 'loaded', 'erasing', 'completed'] as const;

const tourStateSchema = z.object({
  format: z.literal(1),
  seed: z.string(),
  anchorMs: z.number().int(),
  tenants: z.number().int(),
  days: z.number().int(),
  events: z.number().int(),
  stage: z.enum(tourStages),
  /** Totals of the platform before the erasure, by "metric vN"; from `loaded` on. */
  totalsBefore: z.record(z.string(), z.string()).optional(),
});

/** What DATA/tour.json keeps. Every id follows from the settings, so any step may be done again. */
export type TourState = z.infer<typeof tourStateSchema>;

/** Undefined when no tour was begun here. */
export async function readTourState(dataFolder: string): Promise<TourState | undefined> {
  const file = dataFiles(dataFolder).tour;
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  if (isOfNewerFormat(text)) {
    throw usageError(
      `A newer version of the tour wrote ${file}.`,
      'Run that version, or use another data folder.',
    );
  }
  return parseJsonFile(file, text, tourStateSchema);
}

function isOfNewerFormat(text: string): boolean {
  const format = /"format":\s*(\d+)/.exec(text)?.[1];
  return format !== undefined && Number(format) > 1;
}

export async function writeTourState(dataFolder: string, state: TourState): Promise<void> {
  await writeFileSafely(dataFiles(dataFolder).tour, `${JSON.stringify(state, undefined, 2)}\n`);
}

export function settingsOf({ seed, anchorMs, tenants, days, events }: TourState): HelpDeskSettings {
  return { seed, anchorMs, tenants, days, events };
}
