import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.spec.ts', 'test/**/*.spec.ts'],
    // Bounds for what has gone wrong, on machines that are busy; nothing that works comes near them.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
