// Which folder may import which, and why: wishes flow down once (doors, changes, store, world, compile, stream), nothing looks up.
const under = (...folders) => `^src/(${folders.join('|')})/`;
const FEATURES = ['policy', 'traffic', 'discovery', 'identity', 'observe'];

/** What the modules of Nest are given, and hand on to what they make: nothing else reads settings by itself. */
const FOUNDATION = '^src/(settings|log|data-directory)\\.ts$';

/** `folder` may import itself, `allowed`, and nothing else of ours. */
const only = (folder, allowed, why) => ({
  name: `${folder} imports only ${allowed.join(', ') || 'nothing'}`,
  comment: why,
  severity: 'error',
  from: { path: under(folder), pathNot: '\\.(spec|module)\\.ts$' },
  to: { path: '^src/', pathNot: under(folder, ...allowed) },
});

/** The modules of `folder` may name the foundation and `others` as well: wiring is all that they do. */
const wiring = (folder, allowed, others = []) => ({
  name: `the modules of ${folder} wire ${[...allowed, ...others].join(', ') || 'nothing'}`,
  comment: 'A module says what its folder is made of and what that needs; it is no way around the rule of its folder.',
  severity: 'error',
  from: { path: `${under(folder)}.*\\.module\\.ts$` },
  to: { path: '^src/', pathNot: [under(folder, ...allowed, ...others), FOUNDATION] },
});

/** The layers, from the words up. Each names all that it may look down on. */
const LAYERS = [
  ['model', [], 'The words of the mesh: everyone may use them, so they may use nobody.'],
  ['store', ['model'], 'Everything that knows SQL, and nothing that knows why it is asked.'],
  ['world', ['model'], 'Folds sources into one mesh; where those have it from is their business.', ['store']],
  [
    'changes',
    ['model', 'store', 'world', 'compile'],
    'The one way to change, for every door; a preview is compiled, and nothing is streamed.',
  ],
  [
    'compile',
    ['model', 'proto'],
    'Pure: a mesh in, resources out. Whatever else it read would have to be part of the mesh.',
  ],
  ['rpc', ['model'], 'Ports, TLS and peers: knows who calls, and not what about.', ['identity']],
  [
    'stream',
    ['model', 'compile', 'proto', 'rpc'],
    'Carries what was compiled; it learns of commits by being told, not by looking.',
    ['store', 'world', 'status'],
  ],
  ['status', ['model', 'compile', 'stream'], 'What became of each object, read from the sessions.', ['store', 'world']],
  ['work', ['model', 'store', 'world', 'changes'], 'From the world to a wish, again and again; knows no transport.'],
];

export default {
  forbidden: [
    ...LAYERS.flatMap(([folder, allowed, why, others]) => [
      only(folder, allowed, why),
      wiring(folder, allowed, others),
    ]),
    ...[
      only(
        'api',
        ['model', 'store', 'world', 'changes', 'stream', 'status', 'rpc'],
        'What all REST doors share; a door knows its feature, never the other way round.',
      ),
      wiring('api', ['model', 'store', 'world', 'changes', 'stream', 'status', 'rpc']),
    ],
    ...FEATURES.flatMap((feature) => {
      const below = ['model', 'store', 'world', 'changes', 'stream', 'status', 'work', 'rpc', 'api', 'proto'];
      return [
        only(feature, below, 'Features do not import each other: each can be read, changed and removed alone.'),
        wiring(feature, below),
      ];
    }),
    {
      name: 'cli speaks REST',
      comment:
        'What the command line can do, every client can. The words are shared; a server is started through main.ts and copied through backup.ts.',
      severity: 'error',
      from: { path: under('cli') },
      to: { path: '^src/', pathNot: '^src/(cli/|model/|(main|backup|settings)\\.ts)' },
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
      comment: 'The same session must sit on any transport; only rpc/ knows HTTP/2.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(rpc/|.*\\.spec\\.ts$)' },
      to: { path: '(^|node:)http2$|node_modules/@grpc/grpc-js/' },
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
