/** Puts the extension together when it is activated. */

import { join } from 'node:path';
import { commands, env, window, workspace, type Disposable, type ExtensionContext, type TextDocument } from 'vscode';
import { Commands } from './commands';
import { installServer } from './installing';
import { Server } from './server';
import { automaticLanguages, PROCESS_SETTINGS, SECTION } from './settings';
import type { State } from './status';
import { createStatusBarItem, showState } from './statusBar';
import { TraceChannel } from './trace';

const OFFERED = 'installationOffered';

let running: Server | undefined;

export function activate(context: ExtensionContext): void {
  const storage = context.globalStorageUri.fsPath;
  const environments = join(storage, 'environments');
  const log = window.createOutputChannel('Quicksilver', { log: true });
  const trace = new TraceChannel();
  const server = new Server({ cwd: join(storage, 'work'), environments }, log, trace);
  const item = createStatusBarItem();
  running = server;

  const own = new Commands(server, log, context.extension.id);
  const installAndStart = async (): Promise<void> => {
    const { extensionPath: folder, packageJSON } = context.extension;
    if (await installServer(environments, log, { folder, version: String(packageJSON.version) })) {
      await server.restart();
    }
  };
  server.onNothing((uri) => void own.sayWhyNothing(uri));
  const actions: Record<string, (...args: unknown[]) => Promise<void>> = {
    ask: () => own.ask(),
    toggle: (on) => own.toggle(on),
    snooze: (minutes) => own.snooze(minutes),
    restart: () => own.restart(),
    restartEngine: () => own.restartEngine(),
    why: () => own.why(),
    showLogs: () => own.showLogs(),
    status: () => own.menu(),
    installServer: installAndStart,
    didAccept: (...args) => own.didAccept(...args),
    openSettings: (query) => openSettings(String(query)),
  };
  context.subscriptions.push(
    log,
    trace,
    item,
    ...Object.entries(actions).map(([name, action]) => commands.registerCommand(`${SECTION}.${name}`, action)),
    server.onDidChange((state) => showState(item, state)),
    server.onDidChange((state) => void markRunning(state)),
    server.onDidChange((state) => void tellTrouble(state, context, installAndStart)),
    restartOnNewProgram(server),
    ...startForDocuments(server),
  );
  showState(item, server.state);
}

export async function deactivate(): Promise<void> {
  await running?.dispose();
}

/** The server starts with the first document in one of its languages, so that others pay nothing for it. */
function startForDocuments(server: Server): Disposable[] {
  const look = (document: TextDocument): void => {
    const languages = automaticLanguages(workspace.getConfiguration(SECTION).get('languages'));
    if (server.state.kind === 'idle' && languages.includes(document.languageId)) {
      void server.start();
    }
  };
  const lookAtAll = (): void => workspace.textDocuments.forEach(look);
  lookAtAll();
  return [
    workspace.onDidOpenTextDocument(look),
    workspace.onDidChangeConfiguration((event) => event.affectsConfiguration(`${SECTION}.languages`) && lookAtAll()),
  ];
}

function restartOnNewProgram(server: Server): Disposable {
  return workspace.onDidChangeConfiguration((event) => {
    const changed = PROCESS_SETTINGS.some((name) => event.affectsConfiguration(`${SECTION}.${name}`));
    if (changed && server.state.kind !== 'idle') {
      void server.restart();
    }
  });
}

async function markRunning(state: State): Promise<void> {
  await commands.executeCommand('setContext', 'quicksilver.serverRuns', state.kind === 'running');
}

/** What a person must be told without asking: once ever that there is no server, and each time that it gave up. */
async function tellTrouble(state: State, context: ExtensionContext, install: () => Promise<void>): Promise<void> {
  if (state.kind === 'missing' && state.wrongSetting) {
    await offer(state.reason, { 'Open Settings': () => openSettings('quicksilver.path') });
  } else if (state.kind === 'missing' && !context.globalState.get<boolean>(OFFERED, false)) {
    await context.globalState.update(OFFERED, true);
    await offer('Quicksilver needs its language server, and there is none on this machine yet.', {
      'Install…': install,
      'Say Where It Is': () => openSettings('quicksilver.path'),
    });
  } else if (state.kind === 'stopped') {
    await offer(`Quicksilver: ${state.reason}`, {
      'Show Logs': async () => void (await commands.executeCommand('quicksilver.showLogs')),
      Restart: async () => void (await commands.executeCommand('quicksilver.restart')),
    });
  }
}

async function offer(text: string, actions: Record<string, () => Promise<void>>): Promise<void> {
  const choice = await window.showWarningMessage(text, ...Object.keys(actions));
  if (choice !== undefined) {
    await actions[choice]?.();
  }
}

/** Settings of scope machine belong to the machine that the window works on, and there is a page of its own for those. */
async function openSettings(query: string): Promise<void> {
  await (env.remoteName === undefined
    ? commands.executeCommand('workbench.action.openSettings', query)
    : commands.executeCommand('workbench.action.openRemoteSettings', { query }));
}
