/** Policy: who may call whom, and what holds where no policy says so. */
import { Module } from '@nestjs/common';
import { documentController } from '../api/document.controller.js';
import type { Door } from '../api/document-door.js';
import type { Operation, Rule, Source, Target } from '../model/authorization-policy.js';
import {
  AuthorizationPolicyDto,
  type AuthorizationPolicySpecDto,
  type OperationDto,
  type RuleDto,
  type SourceDto,
  type TargetDto,
} from './authorization-policy.dto.js';
import { policyFaults } from './authorization-policy.faults.js';
import { MeshSettingsController } from './mesh-settings.controller.js';

export const authorizationPolicyDoor: Door<'AuthorizationPolicy', AuthorizationPolicySpecDto> = {
  kind: 'AuthorizationPolicy',
  tag: 'Authorization policies',
  dto: AuthorizationPolicyDto,
  spec: ({ target, action, mode = 'Enforce', rules }) => ({
    target: targetOf(target),
    action,
    mode,
    rules: rules.map(ruleOf),
  }),
  faults: policyFaults,
  example: {
    name: 'cart-from-web',
    spec: {
      target: { service: 'cart' },
      action: 'Allow',
      rules: [
        { from: [{ identity: 'spiffe://sluice.local/ns/shop/sa/web' }], to: [{ methods: ['GET'], paths: ['/*'] }] },
      ],
    },
  },
};

/** A target has one field; which one was checked before. */
const targetOf = ({ service, labels, scope }: TargetDto): Target =>
  service !== undefined ? { service } : labels !== undefined ? { labels } : { scope: scope ?? 'Namespace' };

/** Likewise. */
const sourceOf = ({ identity, namespace, anyone }: SourceDto): Source =>
  identity !== undefined
    ? { identity }
    : namespace !== undefined
      ? { namespace }
      : { anyone: anyone ?? 'Authenticated' };

const operationOf = ({ methods, paths, ports }: OperationDto): Operation => ({
  ...(methods && { methods }),
  ...(paths && { paths }),
  ...(ports && { ports }),
});

const ruleOf = ({ from, to }: RuleDto): Rule => ({
  from: from.map(sourceOf),
  ...(to && { to: to.map(operationOf) }),
});

@Module({ controllers: [documentController(authorizationPolicyDoor), MeshSettingsController] })
export class PolicyModule {}
