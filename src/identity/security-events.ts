/** What the log says of who came in, by what, and who was turned out: each under a stable word, for those who look for it. Pure. */
import { keyOf } from '../model/document.js';
import { wordsFor } from '../store/enrolment.js';
import type { EnrolmentEvent } from '../store/enrolment-store.js';

/** The fields and the sentence of a line of the log. */
export function securityEvent(event: EnrolmentEvent): [fields: object, message: string] {
  if (event.what === 'invited') {
    const { id, madeBy, identity, expiresAt } = event.invitation;
    const workload = keyOf(event.invitation);
    return [{ event: 'invited', joinToken: id, madeBy, workload, identity, expiresAt }, 'join token made'];
  }
  const { id, identity, joinTokenId, invitedBy, certificateEndsAt, ended } = event.enrolment;
  const fields = { enrolment: id, workload: keyOf(event.enrolment), identity };
  switch (event.what) {
    case 'joined':
      return [{ event: 'joined', ...fields, joinToken: joinTokenId, invitedBy, certificateEndsAt }, 'sidecar joined'];
    case 'renewed':
      return [{ event: 'renewed', ...fields, certificateEndsAt }, 'certificate renewed'];
    case 'ended':
      return [
        { event: ended, ...fields, ...(event.by !== undefined && { by: event.by }) },
        `enrolment ended: ${ended ? wordsFor[ended] : 'it is over'}`,
      ];
  }
}
