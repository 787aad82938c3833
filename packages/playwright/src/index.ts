export { liveServer } from './fixture.ts'
export type { LiveServerFixtures, LiveServerOptions } from './fixture.ts'
export type { LiveServer } from 'portzero'
export type { Lingering, SharedContext } from 'portzero/shared'
