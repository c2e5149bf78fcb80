/**
 * The trace of messages, switched by `quicksilver.trace.server`. The language client asks a log channel's level whether
 * to trace; here the setting is that level, so that the setting alone is enough. The channel is made when first needed.
 */

import { EventEmitter, LogLevel, window, workspace, type LogOutputChannel, type OutputChannel } from 'vscode';

export class TraceChannel {
  readonly name = 'Quicksilver Trace';
  private channel: OutputChannel | undefined;
  private readonly changed = new EventEmitter<LogLevel>();
  readonly onDidChangeLogLevel = this.changed.event;
  private readonly watch = workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration('quicksilver.trace.server')) {
      this.changed.fire(this.logLevel);
    }
  });

  get logLevel(): LogLevel {
    const setting = workspace.getConfiguration('quicksilver').get<string>('trace.server', 'off');
    return setting === 'off' ? LogLevel.Info : LogLevel.Trace;
  }

  trace(message: string): void {
    if (this.logLevel === LogLevel.Trace) {
      this.shown().appendLine(`${new Date().toISOString()} ${message}`);
    }
  }

  show(): void {
    this.shown().show(true);
  }

  dispose(): void {
    this.watch.dispose();
    this.changed.dispose();
    this.channel?.dispose();
  }

  /** The language client wants a whole log channel and uses of it what is above. */
  asLogChannel(): LogOutputChannel {
    return this as unknown as LogOutputChannel;
  }

  private shown(): OutputChannel {
    this.channel ??= window.createOutputChannel(this.name);
    return this.channel;
  }
}
