export { serve } from './serve.ts'
export { connect, list, start } from './background/by-name.ts'
export { PortzeroError } from './errors.ts'
export type { ErrorCode } from './errors.ts'
export type {
  App,
  AsgiTarget,
  Blocker,
  CloseOptions,
  CloseReport,
  CommandTarget,
  ConnectedServer,
  Exit,
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
  ServerEntry,
  StartOptions,
  Target,
} from './types.ts'
