import type { Migrations } from '@lethe/platform/database/migrate.ts';
import { createPrivacyTables } from './0001-privacy.ts';

export const migrations: Migrations = { '0001-privacy': createPrivacyTables };
