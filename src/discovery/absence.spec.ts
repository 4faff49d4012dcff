/** What is written of those who are lost. */
import { expect, it } from 'vitest';
import { absencesOf } from './absence.js';

it('is what is different from what is written, and nothing more', () => {
  const sights = [
    { enrolment: 'there', lostSince: undefined, written: undefined },
    { enrolment: 'lost', lostSince: '2027-03-01T12:00:00.000Z', written: undefined },
    { enrolment: 'long lost', lostSince: '2027-03-01T12:00:01.000Z', written: '2027-03-01T12:00:00.000Z' },
    { enrolment: 'back', lostSince: undefined, written: '2027-03-01T12:00:00.000Z' },
  ];
  expect(absencesOf(sights)).toEqual([
    new Map([
      ['lost', '2027-03-01T12:00:00.000Z'],
      ['back', undefined],
    ]),
  ]);
  expect(absencesOf(sights.slice(0, 1))).toEqual([]);
});
