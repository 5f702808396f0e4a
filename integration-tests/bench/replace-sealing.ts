import { registerHooks } from 'node:module';

/** Modules of `platform/sealing` and what the benchmark puts in their place. */
const replacements = [
  ['/services/platform/src/sealing/box.ts', './switchable-box.ts'],
  ['/services/platform/src/sealing/associated-data.ts', './switchable-associated-data.ts'],
] as const;

/**
 * From now on this process loads boxes and their binding by way of modules that can leave the sealing out, so that the
 * same process over the same stores runs with and without it. Production code has no such place and gets none.
 */
export function replaceSealing(): void {
  registerHooks({
    resolve: (specifier, context, nextResolve) => {
      const resolved = nextResolve(specifier, context);
      for (const [original, replacement] of replacements) {
        const url = new URL(replacement, import.meta.url).href;
        // The replacement itself gets the original.
        if (resolved.url.endsWith(original) && context.parentURL !== url) {
          return { ...resolved, url };
        }
      }
      return resolved;
    },
  });
}
