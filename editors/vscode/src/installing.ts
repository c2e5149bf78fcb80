/** Asks a person how the language server is to be installed, and installs it with progress and plain errors. */

import { basename, dirname } from 'node:path';
import { CancellationError, ProgressLocation, window, workspace, type LogOutputChannel, type Uri } from 'vscode';
import { consentFor, type Source } from './installation';
import { install, InstallationError } from './installer';
import { SECTION } from './settings';
import { bundledWheel, readWheel } from './wheel';

interface Way {
  label: string;
  detail: string;
  choose(): Promise<Source | undefined>;
}

/** The extension as far as an installation is concerned. */
export interface Extension {
  folder: string;
  version: string;
}

function waysOf({ folder, version }: Extension): Way[] {
  const bundled = bundledWheel(folder);
  const own: Way[] = bundled === undefined ? [] : [
    {
      label: `$(package) The one that comes with this extension (${bundled.version})`,
      detail: 'What it needs is downloaded with pip.',
      choose: () => Promise.resolve({ kind: 'wheel', wheel: bundled }),
    },
  ];
  return [
    ...own,
    {
      label: '$(file-zip) From a wheel file…',
      detail: 'You have the server as a .whl file. What it needs is downloaded with pip.',
      choose: chooseWheel,
    },
    {
      label: '$(folder-opened) From a folder of wheels…',
      detail: `The folder holds the server (${version}) and all that it needs. Nothing is downloaded.`,
      choose: () => chooseFolder(version),
    },
  ];
}

async function chooseWheel(): Promise<Source | undefined> {
  const file = oneOf(await window.showOpenDialog({
    title: 'The server’s wheel file',
    openLabel: 'Install',
    filters: { Wheels: ['whl'] },
  }));
  const wheel = file === undefined ? undefined : readWheel(file);
  if (file !== undefined && wheel === undefined) {
    await window.showErrorMessage(`${basename(file)} is not the server: its wheel is called quicksilver_lsp-….whl.`);
  }
  return wheel && { kind: 'wheel', wheel };
}

async function chooseFolder(version: string): Promise<Source | undefined> {
  const folder = oneOf(await window.showOpenDialog({
    title: 'The folder with the wheels',
    openLabel: 'Install',
    canSelectFiles: false,
    canSelectFolders: true,
  }));
  return folder === undefined ? undefined : { kind: 'folder', folder, version };
}

function oneOf(chosen: Uri[] | undefined): string | undefined {
  return chosen?.[0]?.fsPath;
}

/** Go through the whole conversation. True when the server is installed; false when the person left or it failed. */
export async function installServer(environments: string, log: LogOutputChannel, extension: Extension): Promise<boolean> {
  const title = 'Quicksilver: Install the Language Server';
  const way = await window.showQuickPick(waysOf(extension), { title, placeHolder: `Into a folder of this extension: ${environments}` });
  const source = await way?.choose();
  if (source === undefined) {
    return false;
  }
  const { question, detail } = consentFor(source, extension.version);
  const where = `It goes into its own Python environment in ${environments}, and nowhere else.`;
  const agreed = await window.showInformationMessage(question, { modal: true, detail: `${detail}\n\n${where}` }, 'Install');
  return agreed === 'Install' && installWithProgress(source, environments, log);
}

async function installWithProgress(source: Source, environments: string, log: LogOutputChannel): Promise<boolean> {
  const settings = workspace.getConfiguration(SECTION);
  const options = { location: ProgressLocation.Notification, title: 'Installing Quicksilver’s server', cancellable: true };
  try {
    await window.withProgress(options, (progress, cancelled) => {
      const stop = new AbortController();
      cancelled.onCancellationRequested(() => stop.abort(new CancellationError()));
      return install({
        source,
        environments,
        python: settings.get('python', ''),
        pipArgs: settings.get<string[]>('pipArgs', []),
        signal: stop.signal,
        log: (line) => log.info(line),
        progress: (message) => progress.report({ message }),
      });
    });
    return true;
  } catch (error) {
    await tellFailure(error, environments, log);
    return false;
  }
}

async function tellFailure(error: unknown, environments: string, log: LogOutputChannel): Promise<void> {
  if (error instanceof CancellationError) {
    log.info('the installation was cancelled; nothing is left of it');
    return;
  }
  const reason = error instanceof Error ? error.message : String(error);
  log.error(error instanceof InstallationError ? reason : `installing into ${dirname(environments)}: ${reason}`);
  const choice = await window.showErrorMessage(`Quicksilver could not be installed. ${reason}`, 'Show Logs');
  if (choice !== undefined) {
    log.show(true);
  }
}
