/** All that ever changed in the database, oldest first. */
import { Initial1790000000001 } from './0001-initial.js';
import { Facts1790000000002 } from './0002-facts.js';
import { Enrolments1790000000003 } from './0003-enrolments.js';
import { Remembered1790000000004 } from './0004-remembered.js';
import { KeysOfJoins1790000000005 } from './0005-keys-of-joins.js';
import { LostSidecars1790000000006 } from './0006-lost-sidecars.js';

export const MIGRATIONS = [
  Initial1790000000001,
  Facts1790000000002,
  Enrolments1790000000003,
  Remembered1790000000004,
  KeysOfJoins1790000000005,
  LostSidecars1790000000006,
];
