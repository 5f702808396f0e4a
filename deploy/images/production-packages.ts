/** What package-lock.json (version 3) says of one package. */
export interface LockedPackage {
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  /** A workspace, by the link in node_modules; `resolved` is its folder. */
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface Lockfile {
  readonly name: string;
  readonly version: string;
  readonly lockfileVersion: number;
  /** By place: "node_modules/pg", "services/tickets", "" for the root. */
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** What one workspace runs on. */
export interface ProductionPackages {
  /** Folders of the checkout, the wished one first. */
  readonly workspaces: readonly string[];
  /** Places in node_modules, sorted; links to workspaces among them. */
  readonly places: readonly string[];
}

/**
 * Everything that a workspace needs in production, as Node would resolve it: `dependencies` and `optionalDependencies`
 * and theirs, nothing else. npm itself would also take whatever another workspace installs that one of them names as an
 * optional peer (kysely names PGlite, the ClickHouse client names chdb: 570 MB that no service of its own ever loads).
 */
export function productionPackages(lock: Lockfile, workspace: string): ProductionPackages {
  const workspaces: string[] = [];
  const places = new Set<string>();
  const visit = (folder: string): void => {
    const found = lock.packages[folder];
    if (found === undefined) throw new Error(`package-lock.json knows no ${folder}`);
    const wanted = { ...found.dependencies, ...found.optionalDependencies };
    for (const name of Object.keys(wanted).toSorted()) {
      const place = placeOf(lock, folder, name);
      if (place === undefined) {
        // Of another platform, as npm left it out.
        if (found.dependencies?.[name] === undefined) continue;
        throw new Error(`package-lock.json has no ${name} for ${folder}`);
      }
      if (places.has(place)) continue;
      places.add(place);
      const target = lock.packages[place];
      if (target?.link !== true) visit(place);
      else if (target.resolved !== undefined) visitWorkspace(target.resolved);
    }
  };
  const visitWorkspace = (folder: string): void => {
    if (workspaces.includes(folder)) return;
    workspaces.push(folder);
    places.add(linkTo(lock, folder));
    visit(folder);
  };
  visitWorkspace(workspace);
  return { workspaces, places: [...places].toSorted() };
}

/** npm links each workspace into node_modules. */
function linkTo(lock: Lockfile, folder: string): string {
  const found = Object.entries(lock.packages).find(
    ([, { link, resolved }]) => link === true && resolved === folder,
  );
  if (found === undefined) throw new Error(`package-lock.json links no ${folder}`);
  return found[0];
}

/** Where Node finds a package that is asked for in a folder: there, or in a folder above it. */
function placeOf(lock: Lockfile, from: string, name: string): string | undefined {
  const parts = from.split('/');
  for (let length = parts.length; length >= 0; length -= 1) {
    const folder = parts.slice(0, length).join('/');
    if (folder.endsWith('node_modules')) continue;
    const place = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (lock.packages[place] !== undefined) return place;
  }
  return undefined;
}

/**
 * A lockfile of these packages alone, and the package.json that belongs to it: `npm ci` installs them, and no other.
 * `overrides` are those of the root's package.json: a lockfile does not repeat them.
 */
export function cutLockfile(lock: Lockfile, chosen: ProductionPackages, overrides: unknown) {
  const { name, version, lockfileVersion } = lock;
  const { workspaces } = chosen;
  const root = { name, version, private: true, type: 'module', workspaces };
  const kept = [...chosen.workspaces, ...chosen.places].map((place): [string, LockedPackage] => {
    const { devDependencies: _left, ...entry } = lock.packages[place] ?? {};
    return [place, entry];
  });
  const packages = Object.fromEntries([['', root], ...kept.toSorted(([a], [b]) => compare(a, b))]);
  const manifest = overrides === undefined ? root : { ...root, overrides };
  return { manifest, lockfile: { name, version, lockfileVersion, requires: true, packages } };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
