import type { Migrations } from '@lethe/platform/database/migrate.ts';
import { projection } from './0001-projection.ts';

export const migrations: Migrations = { '0001-projection': projection };
