/** A statement with the schema before every table of it. */
export type Qualify = (schema: string, text: string) => string;

/**
 * Services name their tables without a schema, as their search_path has it. Setting that for every statement costs as
 * much as a statement, so it is written into the text once; a table that is missed does not exist for PostgreSQL.
 */
export function createQualify(tables: ReadonlyMap<string, readonly string[]>): Qualify {
  const patterns = new Map(
    [...tables].map(([schema, names]) => {
      const anyName = names.toSorted((left, right) => right.length - left.length).join('|');
      return [
        schema,
        new RegExp(
          `\\b(from|join|into|update|using|truncate|table)(\\s+(?:only\\s+)?)"?(${anyName})"?(?![\\w".])`,
          'gi',
        ),
      ];
    }),
  );
  const known = new Map([...tables.keys()].map((schema) => [schema, new Map<string, string>()]));
  return (schema, text) => {
    const [pattern, texts] = [patterns.get(schema), known.get(schema)];
    if (pattern === undefined || texts === undefined) return text;
    const qualified = texts.get(text) ?? text.replaceAll(pattern, `$1$2${schema}.$3`);
    texts.set(text, qualified);
    return qualified;
  };
}
