import type { Migrations } from '@lethe/platform/database/migrate.ts';
import { projection } from './0001-projection.ts';
import { parking } from './0002-parking.ts';

export const migrations: Migrations = { '0001-projection': projection, '0002-parking': parking };
