/** What the extension's commands do. */

import { commands, Uri, window, workspace, type LogOutputChannel } from 'vscode';
import { menuOf, type Choice } from './menu';
import type { Server } from './server';
import { automaticLanguages, SECTION } from './settings';
import { faceOf, readStatus } from './status';
import { clock } from './statusBar';
import { askingReasons, editorReasons, plainReason } from './why';

const SAID_MS = 8000;

export class Commands {
  constructor(
    private readonly server: Server,
    private readonly log: LogOutputChannel,
    private readonly extensionId: string,
  ) {}

  /** Ask for completions at the cursor, in any language; the server is started for it. One line says why not. */
  async ask(): Promise<void> {
    const editor = window.activeTextEditor;
    const about = editor && this.aboutDocument(editor.document.uri, editor.document.languageId);
    const [reason] = askingReasons(about && { ...about, hasSelection: !editor.selection.isEmpty });
    if (reason !== undefined) {
      window.setStatusBarMessage(`Quicksilver: ${reason}`, SAID_MS);
      return;
    }
    await this.server.start();
    if (this.server.state.kind === 'running') {
      await commands.executeCommand('editor.action.inlineSuggest.trigger');
    } else {
      await this.menu();
    }
  }

  /** Say why there was no completion in a document when a person asked for one. */
  async sayWhyNothing(uri: string): Promise<void> {
    const why = readStatus(await this.server.ask('quicksilver.why', { uri }))?.why ?? [];
    const reason = why.at(-1);
    if (reason !== undefined) {
      window.setStatusBarMessage(`Quicksilver: ${plainReason(reason)}`, SAID_MS);
    }
  }

  /** Completions on or off for this session; with an argument, that. */
  async toggle(on?: unknown): Promise<void> {
    await this.send('quicksilver.toggle', ...(typeof on === 'boolean' ? [on] : []));
  }

  /** No automatic completions for some minutes. Asks for how many when it is not told. */
  async snooze(minutes?: unknown): Promise<void> {
    const wanted = typeof minutes === 'number' ? minutes : await askMinutes();
    if (wanted !== undefined) {
      await this.send('quicksilver.snooze', wanted);
    }
  }

  async restart(): Promise<void> {
    await this.server.restart();
  }

  async restartEngine(): Promise<void> {
    await this.send('quicksilver.restartEngine');
  }

  /** Say why nothing is shown: what the editor knows, then what the server knows. */
  async why(): Promise<void> {
    const document = window.activeTextEditor?.document;
    const reasons = editorReasons(document && this.aboutDocument(document.uri, document.languageId));
    const uri = document?.uri.toString();
    const status = readStatus(await this.send('quicksilver.why', ...(uri === undefined ? [] : [{ uri }])));
    const lines = [...reasons, ...(status?.why ?? [])];
    lines.forEach((line) => this.log.info(`why: ${line}`));
    const said = lines.length === 0 ? 'There is nothing to tell yet: no completion has been asked for.' : lines.join(' ');
    const choice = await window.showInformationMessage(`Quicksilver: ${said}`, 'Show Logs');
    if (choice !== undefined) {
      await this.showLogs();
    }
  }

  /** The server's log, or the engine's where there is one. */
  async showLogs(): Promise<void> {
    const answer = (await this.server.ask('quicksilver.showLog')) as { engine_log?: unknown } | null | undefined;
    const engineLog = answer?.engine_log;
    if (typeof engineLog !== 'string') {
      this.log.show(true);
      return;
    }
    const own: Choice = { label: 'Language server', description: 'and this extension', command: '' };
    const engine: Choice = { label: 'Engine', description: engineLog, command: '' };
    const choice = await window.showQuickPick([own, engine], { title: 'Quicksilver: Logs' });
    if (choice === own) {
      this.log.show(true);
    } else if (choice === engine) {
      await window.showTextDocument(await workspace.openTextDocument(Uri.file(engineLog)));
    }
  }

  /** The menu of the status bar. */
  async menu(): Promise<void> {
    const face = faceOf(this.server.state, clock);
    const choice = await window.showQuickPick(menuOf(this.server.state, this.extensionId), {
      title: face.spoken,
      placeHolder: face.lines.join(' · '),
    });
    if (choice !== undefined) {
      await commands.executeCommand(choice.command, ...(choice.args ?? []));
    }
  }

  /** An item was taken whole. */
  async didAccept(...args: unknown[]): Promise<void> {
    await this.server.ask('quicksilver.didAccept', ...args);
  }

  /** Send a command to the server, which is started for it; where that fails the menu shows what can be done. */
  private async send(command: string, ...args: unknown[]): Promise<unknown> {
    await this.server.start();
    if (this.server.state.kind === 'running') {
      return this.server.ask(command, ...args);
    }
    await this.menu();
    return undefined;
  }

  private aboutDocument(uri: Uri, languageId: string): Parameters<typeof editorReasons>[0] {
    const scope = { uri, languageId };
    return {
      scheme: uri.scheme,
      languageId,
      inlineSuggest: workspace.getConfiguration('editor', scope).get<boolean>('inlineSuggest.enabled', true),
      languages: automaticLanguages(workspace.getConfiguration(SECTION).get('languages')),
    };
  }
}

async function askMinutes(): Promise<number | undefined> {
  const choices = [
    { label: '5 minutes', minutes: 5 },
    { label: '10 minutes', minutes: 10 },
    { label: '30 minutes', minutes: 30 },
    { label: '1 hour', minutes: 60 },
    { label: 'End the snooze', minutes: 0 },
  ];
  const placeHolder = 'No completions by themselves for this long; Alt+\\ still asks';
  return (await window.showQuickPick(choices, { title: 'Quicksilver: Snooze', placeHolder }))?.minutes;
}
