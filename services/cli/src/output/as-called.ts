/** Commands in a text, written as `lethe …`, in the way in which this reader calls the program. */
export function asCalled(text: string, commandName: string): string {
  return text.replaceAll('`lethe ', `\`${commandName} `);
}
