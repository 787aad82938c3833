// @ts-check
import { asking, askingBackToBack, halfSent, session, silent, used, webSockets } from './clients.js'

/**
 * @typedef {object} Column one situation in which a server is closed
 * @property {string} title
 * @property {import('./clients.js').Visit} visit
 * @property {import('./closing-server.js').Moment} moment
 * @property {string} good the fate that its clients should have
 * @property {string} [bad] what to call another one
 * @property {number} reach ms that closing may take after the app's last answer
 * @property {boolean} [works] the app has work left when it is closed
 * @property {boolean} [busy] its clients are never done where the server is not: do not wait for it in the background
 * @property {boolean} [webSockets]
 */

/** A little after the requests have come: most of what they take is left. */
const SOON = 10

/** Longer ago than what is on the wire may take. */
const LONG_AGO = 40

/** @type {Column[]} */
export const http1 = [
  {
    title: '100 idle',
    visit: used(100, 1),
    moment: { connections: 100, after: LONG_AGO },
    good: 'closed',
    reach: 2,
  },
  {
    title: '100 used just now',
    visit: used(100, 2),
    moment: { connections: 100 },
    good: 'closed',
    reach: 30,
  },
  {
    title: '10 silent',
    visit: silent(10),
    moment: { connections: 10, after: SOON },
    good: 'closed',
    reach: 1,
  },
  {
    title: '10 requests',
    visit: asking(10, '/slow'),
    moment: { requests: 10, after: SOON },
    good: 'answered',
    reach: 3,
    works: true,
  },
  {
    title: '10 streaming',
    visit: asking(10, '/streaming'),
    moment: { requests: 10, after: SOON },
    good: 'answered',
    reach: 3,
    works: true,
  },
  {
    title: '10 event streams',
    visit: asking(10, '/events'),
    moment: { requests: 10, after: SOON },
    good: 'answered',
    bad: 'cut off',
    reach: 5,
  },
  {
    title: '10 WebSockets',
    visit: webSockets(10),
    moment: { requests: 10, after: SOON },
    good: 'code 1001',
    reach: 6,
    webSockets: true,
  },
  {
    title: 'half a request',
    visit: halfSent,
    moment: { connections: 1, after: SOON },
    good: 'closed',
    reach: 1,
  },
  {
    title: '10 back to back',
    visit: askingBackToBack(10),
    moment: { requests: 200, after: SOON },
    good: 'answered',
    reach: 30,
    busy: true,
  },
]

/** @type {Column[]} */
export const http2 = [
  {
    title: 'idle session',
    visit: session(0),
    moment: { requests: 1, after: LONG_AGO },
    good: 'closed',
    reach: 1,
  },
  {
    title: '5 streams',
    visit: session(5),
    moment: { requests: 6 },
    good: 'answered',
    reach: 3,
    works: true,
  },
]
