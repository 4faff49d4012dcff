/** Where `bin/sluice` begins: what was compiled once is kept beside what was built, and need not be compiled again. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Whoever may write there may write the code itself. Where nobody may, everything is compiled each time.
enableCompileCache(join(import.meta.dirname, '..', '.compiled'));
await import('./main.js');
