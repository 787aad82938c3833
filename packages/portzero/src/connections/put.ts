/** Puts ours in the place of a method. Not where the app has put its own there for good: what ours would have done is not done then. */
export function put<Target extends object, Name extends keyof Target>(
  target: Target,
  name: Name,
  method: Target[Name],
): void {
  Reflect.set(target, name, method)
}
