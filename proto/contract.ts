import { families } from './families.ts';
import type { Contract } from './families.ts';
import { schemaVersions } from './schema-versions.ts';

/**
 * The contract of this repository. The bounds on enums are those of the released cube: its cells are the
 * product of the dimensions, and a rare value would stand for one person.
 */
export const contract: Contract = {
  families,
  personType: 'lethe.people.v1.Person',
  dimensionsType: 'lethe.tickets.v1.TicketDimensionFacts',
  enumValuesMax: {
    'lethe.tickets.v1.Category': 32,
    'lethe.tickets.v1.ProductArea': 16,
    'lethe.tickets.v1.Language': 16,
    'lethe.usage.v1.Feature': 64,
  },
  schemaVersions,
};
