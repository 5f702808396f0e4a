/** Undefined for what is no JSON, as JSON.parse's error quotes the text; the caller's schema then says what is wrong. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
