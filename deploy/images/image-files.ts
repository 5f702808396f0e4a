const leftOut: readonly RegExp[] = [
  /(^|\/)(dist|node_modules|testing|golden|frozen)$/,
  /\.test\.ts$/,
  // The suites that adapters share, and what those need.
  /^src\/(event-log|grpc)\/contract(-[a-z]+)?\.ts$/,
  /(^|\/)tsconfig[^/]*$/,
  /\.md$/,
  /\.tsbuildinfo$/,
  // Sources of what is generated.
  /\.proto$/,
];

/** Whether a file or folder of a workspace, by its path there, is part of the image. */
export function isInImage(file: string, isFolder: boolean): boolean {
  if (file === '') return true;
  // Its own, without what is for development, was written already.
  if (file === 'package.json') return false;
  if (!isFolder && !/\.(ts|json|binpb)$/.test(file)) return false;
  return !leftOut.some((form) => form.test(file));
}
