export { serve } from './serve.ts'
export { PortzeroError } from './errors.ts'
export type { ErrorCode } from './errors.ts'
export type {
  App,
  Blocker,
  CloseOptions,
  CloseReport,
  Factory,
  FactoryContext,
  FactoryResult,
  FetchApp,
  IdleOptions,
  InFlight,
  ListeningApp,
  LiveServer,
  ModuleNamespace,
  NodeListener,
  NodeServer,
  ReadyCheck,
  RestartOptions,
  ServeOptions,
  Target,
} from './types.ts'
