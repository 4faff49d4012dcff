/** In whose words resources are written: what each kind of client understands of xDS is said here, and nowhere else. */
import { inboundRecipe } from './inbound.js';
import { outboundRecipes } from './outbound.js';

/** `sluice`: our own sidecars. */
export const DIALECTS = { sluice: { inboundRecipe, outboundRecipes } } as const;

export type Dialect = keyof typeof DIALECTS;
