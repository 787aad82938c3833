export { liveServer } from './fixture.ts'
export type { LiveServerFixtures, LiveServerOptions } from './fixture.ts'
export type { LiveServer } from 'portzero'
export type { SharedContext } from 'portzero/shared'
