// Six levels: `unit` needs Node alone, `e2e` a real API server that its global set-up starts (test/cluster), `timed` (`*.timed.test.ts`)
// the same and nobody else on the machine, `providers` (`*.servers.test.ts`) that and the real servers of providers, `observability` a
// Prometheus, `node` a whole node (root). `conformance` is for a service of somebody else's, which it is told of by the environment.
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } }],
  },
}

export default {
  testTimeout: 120_000,
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: ['<rootDir>/test/(conformance|e2e|node|observability)/', '\\.servers\\.test\\.ts$'],
    },
    { ...common, displayName: 'conformance', testMatch: ['<rootDir>/test/conformance/**/*.test.ts'] },
    {
      ...common,
      displayName: 'providers',
      testMatch: ['<rootDir>/test/{providers,e2e}/**/*.servers.test.ts'],
      globalSetup: '<rootDir>/test/e2e/setup.ts',
      setupFiles: ['<rootDir>/test/e2e/worker.ts'],
      globalTeardown: '<rootDir>/test/e2e/teardown.ts',
    },
    {
      ...common,
      displayName: 'e2e',
      testMatch: ['<rootDir>/test/e2e/**/*.test.ts'],
      testPathIgnorePatterns: ['\\.(servers|timed)\\.test\\.ts$'],
      globalSetup: '<rootDir>/test/e2e/setup.ts',
      setupFiles: ['<rootDir>/test/e2e/worker.ts'],
      globalTeardown: '<rootDir>/test/e2e/teardown.ts',
    },
    {
      ...common,
      displayName: 'timed',
      testMatch: ['<rootDir>/test/e2e/**/*.timed.test.ts'],
      globalSetup: '<rootDir>/test/e2e/setup.ts',
      setupFiles: ['<rootDir>/test/e2e/worker.ts'],
      globalTeardown: '<rootDir>/test/e2e/teardown.ts',
    },
    {
      ...common,
      displayName: 'node',
      testMatch: ['<rootDir>/test/node/**/*.test.ts'],
      globalSetup: '<rootDir>/test/node/setup.ts',
      globalTeardown: '<rootDir>/test/node/teardown.ts',
    },
    {
      ...common,
      displayName: 'observability',
      testMatch: ['<rootDir>/test/observability/**/*.test.ts'],
      globalSetup: '<rootDir>/test/e2e/setup.ts',
      setupFiles: ['<rootDir>/test/e2e/worker.ts'],
      globalTeardown: '<rootDir>/test/e2e/teardown.ts',
    },
  ],
}
