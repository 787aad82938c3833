// Loaded first by every Node program that a command starts: catches the `listen()` of its server, and puts it on the socket that the
// program has inherited. Also as `node --import portzero/register`; where nothing was handed over it does nothing.
import { handedOver, handOn, isLost } from '../processes/handed-over.ts'
import { catchListen, reportListen } from './program.ts'

const inherited = handedOver()
if (inherited !== undefined) {
  handOn(inherited)
  catchListen(inherited)
} else if (isLost()) reportListen()
