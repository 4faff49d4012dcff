// Which folder may import which, and why: wishes flow down once (features, store, compile, stream), nothing looks up.
const under = (...folders) => `^src/(${folders.join('|')})/`;
const FEATURES = ['policy', 'traffic', 'discovery', 'identity', 'observe'];

/** `folder` may import itself, `allowed`, and nothing else of ours. */
const only = (folder, allowed, why) => ({
  name: `${folder} imports only ${allowed.join(', ') || 'nothing'}`,
  comment: why,
  severity: 'error',
  from: { path: under(folder), pathNot: '\\.spec\\.ts$' },
  to: { path: '^src/', pathNot: under(folder, ...allowed) },
});

export default {
  forbidden: [
    only('model', [], 'The words of the mesh: everyone may use them, so they may use nobody.'),
    only('store', ['model'], 'Everything that knows SQL, and nothing that knows why it is asked.'),
    only(
      'compile',
      ['model', 'proto'],
      'Pure: a mesh in, resources out. Whatever else it read would have to be part of the mesh.',
    ),
    only(
      'stream',
      ['model', 'compile', 'proto'],
      'Carries what was compiled; it learns of commits by being told, not by looking.',
    ),
    only(
      'api',
      ['model', 'store', 'stream'],
      'What all REST doors share; a door knows its feature, never the other way round.',
    ),
    ...FEATURES.map((feature) =>
      only(
        feature,
        ['model', 'store', 'stream', 'api', 'proto'],
        'Features do not import each other: each can be read, changed and removed alone.',
      ),
    ),
    {
      name: 'cli speaks REST',
      comment:
        'What the command line can do, every client can. The words are shared; the server is started through main.ts alone.',
      severity: 'error',
      from: { path: under('cli') },
      to: { path: '^src/', pathNot: '^src/(cli/|model/|main\\.ts|settings\\.ts)' },
    },
    {
      name: 'only store knows SQL',
      comment: 'The database can be changed in one folder.',
      severity: 'error',
      from: { path: '^src/', pathNot: under('store') },
      to: { path: 'node_modules/(typeorm|better-sqlite3)/' },
    },
    {
      name: 'session logic knows no transport',
      comment: 'The same session must sit on any transport; only these files of stream/ know gRPC.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: '^src/(stream/(ads|grpc)|identity/enrolment|discovery/(registration|presence)|core)\\.ts$',
      },
      to: { path: 'node_modules/@grpc/grpc-js/' },
    },
    {
      name: 'no circles',
      comment: 'What goes round in a circle cannot be read from either end.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'dependencies are declared',
      comment: 'A package that is used and not listed comes and goes with somebody else’s needs.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/proto/' },
      to: { dependencyTypes: ['npm-no-pkg', 'unknown', 'undetermined'] },
    },
    {
      name: 'development dependencies stay out of the product',
      comment: 'They are not installed where it runs.',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
