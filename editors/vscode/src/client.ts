/** The language client as Quicksilver needs it: features, settings, errors. It never starts by itself. */

import {
  InlineCompletionTriggerKind,
  window,
  workspace,
  type Disposable,
  type LogOutputChannel,
  type TextDocument,
  type TextEditor,
} from 'vscode';
import {
  CloseAction,
  DidChangeConfigurationNotification,
  ErrorAction,
  ExecuteCommandRequest,
  InlineCompletionRequest,
  LanguageClient,
  RevealOutputChannelOn,
  type ClientCapabilities,
  type ConfigurationParams,
  type DynamicFeature,
  type LanguageClientOptions,
  type Middleware,
  type StaticFeature,
} from 'vscode-languageclient/node';
import { pipeToLog } from './log';
import { readStatus, type ServerStatus } from './status';
import { SECTION, serverSettings } from './settings';
import type { TraceChannel } from './trace';

/** Documents that are synchronised with the server. Notebook cells are documents too. */
const DOCUMENTS = ['file', 'untitled', 'vscode-notebook-cell'].map((scheme) => ({ scheme }));

const OWN_WORK: string[] = [ExecuteCommandRequest.method, DidChangeConfigurationNotification.method];

export interface Launch {
  command: string;
  args: string[];
  cwd: string;
}

export interface ClientListener {
  /** The server has told its state. */
  status(status: ServerStatus): void;
  /** A person asked for a completion in the document of that URI, and there is none. */
  nothing(uri: string): void;
  /** The connection ended without being stopped. */
  closed(): void;
  /** The server has written a line to its log. */
  heard(line: string): void;
}

export class Client extends LanguageClient {
  constructor(launch: Launch, log: LogOutputChannel, trace: TraceChannel, listener: ClientListener) {
    const { command, args, cwd } = launch;
    super(SECTION, 'Quicksilver', { command, args, options: { cwd } }, clientOptions(log, trace, listener));
    this.registerFeature(new StatusCapability());
    this.onNotification('quicksilver/status', (params: unknown) => {
      const status = readStatus(params);
      if (status !== undefined) {
        listener.status(status);
      }
    });
  }

  /**
   * Two of the client's features are left out, since the extension does their work itself. One would register each
   * command that the server has, under the names of the extension's own, which are there before the server is and
   * outlive it. The other would send the whole section of the configuration, and not only what is the server's.
   */
  override registerFeature(feature: StaticFeature | DynamicFeature<unknown>): void {
    if (!('registrationType' in feature && OWN_WORK.includes(feature.registrationType.method))) {
      super.registerFeature(feature);
    }
  }

  /** Errors go to the log. What a person must know is said by the extension, once and in its own words. */
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }

  /** Send a command to the server; the answer is whatever the command gives. */
  async execute(command: string, ...args: unknown[]): Promise<unknown> {
    return (await this.sendRequest(ExecuteCommandRequest.type, { command, arguments: args })) as unknown;
  }

  /** Tell the server its settings anew whenever one of them changes. */
  watchSettings(): Disposable {
    return workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(SECTION) && this.isRunning()) {
        const settings = { [SECTION]: currentSettings() };
        this.sendNotification(DidChangeConfigurationNotification.type, { settings }).catch((error: unknown) =>
          this.error('The settings could not be sent.', error),
        );
      }
    });
  }
}

function clientOptions(log: LogOutputChannel, trace: TraceChannel, listener: ClientListener): LanguageClientOptions {
  return {
    documentSelector: DOCUMENTS,
    initializationOptions: currentSettings,
    outputChannel: log,
    traceOutputChannel: trace.asLogChannel(),
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    stdioOptions: {
      stdout: () => undefined,
      stderr: (stream: NodeJS.ReadableStream) => pipeToLog(stream, log, (line) => listener.heard(line)),
    },
    initializationFailedHandler: () => false,
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        listener.closed();
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    },
    middleware: middleware(listener),
  };
}

function middleware(listener: ClientListener): Middleware {
  return {
    workspace: { configuration: (params: ConfigurationParams) => params.items.map(answerTo) },
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      if (editorOf(document)?.selection.isEmpty === false) {
        return [];
      }
      const found = await next(document, position, context, token);
      const items = Array.isArray(found) ? found : (found?.items ?? []);
      if (items.length === 0 && context.triggerKind === InlineCompletionTriggerKind.Invoke && !token.isCancellationRequested) {
        listener.nothing(document.uri.toString());
      }
      return found;
    },
    sendRequest: (type, params, token, next) => {
      const isCompletion = (typeof type === 'string' ? type : type.method) === InlineCompletionRequest.method;
      return next(type, isCompletion && params !== undefined ? { ...params, ...indentation() } : params, token);
    },
  };
}

function editorOf(document: TextDocument): TextEditor | undefined {
  const editor = window.activeTextEditor;
  return editor?.document === document ? editor : undefined;
}

/** What the editor indents with, as LSP's `formattingOptions`; only completions of the active editor are asked for. */
function indentation(): { formattingOptions?: { tabSize: number; insertSpaces: boolean } } {
  const { tabSize, insertSpaces } = window.activeTextEditor?.options ?? {};
  return typeof tabSize === 'number' && typeof insertSpaces === 'boolean' ? { formattingOptions: { tabSize, insertSpaces } } : {};
}

/** What the server may know of the configuration: its own settings, whatever it asks for. */
function answerTo(item: { section?: string }): Record<string, unknown> | null {
  return item.section === SECTION ? currentSettings() : null;
}

function currentSettings(): Record<string, unknown> {
  const configuration = workspace.getConfiguration(SECTION);
  return serverSettings((name) => configuration.get(name));
}

/** Asks the server for `quicksilver/status` notifications. */
class StatusCapability implements StaticFeature {
  fillClientCapabilities(capabilities: ClientCapabilities): void {
    capabilities.experimental = { ...capabilities.experimental, quicksilver: { status: true } };
  }

  initialize(): void {}

  getState(): { kind: 'static' } {
    return { kind: 'static' };
  }

  clear(): void {}
}
