import { buildCollector, findCollector } from '../../deploy/local/collector-binary.ts';
import { toolPlaces } from '../../deploy/local/prebuilt-tool.ts';

/** Undefined where it would have to be built and `build` is false. */
export async function collectorBinary(build: boolean): Promise<string | undefined> {
  const places = toolPlaces(process.env);
  const found = findCollector(places);
  if (found !== undefined || !build) return found;
  console.log('    building the collector from Go modules, once');
  return await buildCollector(places);
}

/**
 * With CI=true it is built where it is not found. Where there is none in the end, says so aloud, with what was left out,
 * and answers undefined: Go's module proxy may be out of reach.
 */
export async function findOrBuildCollector(leftOut: string): Promise<string | undefined> {
  const skip = (why: string) => {
    console.log(`!!! SKIPPED, NOT CHECKED: ${why}, so ${leftOut}`);
    return undefined;
  };
  try {
    const found = await collectorBinary(process.env['CI'] === 'true');
    return found ?? skip('no collector (npm run build:collector)');
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return skip(`the collector cannot be built (${said.slice(0, 1_000)})`);
  }
}
