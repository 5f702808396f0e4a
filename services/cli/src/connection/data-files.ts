import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { CliError } from '../failures/cli-error.ts';
import { exitCodes } from '../exit-codes.ts';

/** Where standalone keeps what the client reads; tour.json and certificates/ are the client's own. */
export function dataFiles(dataFolder: string) {
  const within = (name: string) => path.join(dataFolder, name);
  return {
    serverInfo: within('server.json'),
    issuer: within('issuer.jwk'),
    certificatePublic: within('certificate-key.pem'),
    tour: within('tour.json'),
    certificates: within('certificates'),
  };
}

const serverInfoSchema = z.object({
  address: z.string().min(1),
  healthAddress: z.string().min(1),
  pid: z.number().int().optional(),
  version: z.string().optional(),
});

/** What a running standalone server says of itself in DATA/server.json. */
export type ServerInfo = z.infer<typeof serverInfoSchema>;

/** Undefined when no server has ever run on this folder. */
export async function readServerInfo(dataFolder: string): Promise<ServerInfo | undefined> {
  const file = dataFiles(dataFolder).serverInfo;
  const text = await readIfThere(file);
  return text === undefined ? undefined : parseJsonFile(file, text, serverInfoSchema);
}

/** The file's text, or undefined when there is no such file. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Throws a usage error that names the file and the broken fields, never their values. */
export function parseJsonFile<Schema extends z.ZodType>(
  file: string,
  text: string,
  schema: Schema,
): z.infer<Schema> {
  const parsed = schema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const brokenRules = parsed.error.issues.map((issue) => ({
    field: issue.path.join('.') || '(file)',
    rule: issue.message,
  }));
  throw new CliError(exitCodes.usage, `The file ${file} is not what it should be.`, {
    brokenRules,
    next: 'Restore it from a copy, or remove it if it can be made again.',
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
