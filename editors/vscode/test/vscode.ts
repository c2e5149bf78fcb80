/** As much of VS Code as the units under test touch: configuration, channels, commands. A fake with state, no spies. */

export enum LogLevel {
  Off,
  Trace,
  Debug,
  Info,
  Warning,
  Error,
}

export class EventEmitter<T> {
  private listeners: ((value: T) => void)[] = [];
  readonly event = (listener: (value: T) => void): { dispose(): void } => {
    this.listeners.push(listener);
    return { dispose: () => void (this.listeners = this.listeners.filter((each) => each !== listener)) };
  };
  fire(value: T): void {
    this.listeners.forEach((listener) => listener(value));
  }
  dispose(): void {
    this.listeners = [];
  }
}

const values = new Map<string, unknown>();
const configurationChanged = new EventEmitter<{ affectsConfiguration(section: string): boolean }>();

/** Set a setting, as a person would in the settings editor. */
export function setSetting(name: string, value: unknown): void {
  values.set(name, value);
  const affectsConfiguration = (section: string): boolean => name === section || name.startsWith(`${section}.`);
  configurationChanged.fire({ affectsConfiguration });
}

export const workspace = {
  getConfiguration: (section: string) => ({
    get: (name: string, fallback?: unknown) => values.get(`${section}.${name}`) ?? fallback,
  }),
  onDidChangeConfiguration: configurationChanged.event,
};

/** The lines of each output channel that was made. */
export const channels = new Map<string, string[]>();

export const window = {
  createOutputChannel: (name: string) => {
    const lines: string[] = [];
    channels.set(name, lines);
    return { name, appendLine: (line: string) => void lines.push(line), show: () => undefined, dispose: () => undefined };
  },
};
