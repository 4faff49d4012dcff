/** Identity: who sidecars are, and how they come to be able to prove it. */
import { Module } from '@nestjs/common';
import { JoinTokensController } from './join-tokens.controller.js';

@Module({ controllers: [JoinTokensController] })
export class IdentityModule {}
