// @ts-check
// The app as a program that starts itself on a fixed port.
import app from './app.js'

app.listen(3000)
