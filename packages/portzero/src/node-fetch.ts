// Makes Node load its own `fetch`, with an agent of its own: an undici that is imported before puts its agent there, and
// whatever the app and the tests fetch would go through that.
void globalThis.Response
