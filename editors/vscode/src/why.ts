/** Why the editor itself would show no completion. The server's own reasons come from the server. */

export interface AboutDocument {
  scheme: string;
  languageId: string;
  inlineSuggest: boolean;
  languages: string[];
}

const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell'];

/** One line for each reason that lies in the editor. */
export function editorReasons(document: AboutDocument | undefined): string[] {
  const reasons = askingReasons(document);
  if (document !== undefined && !document.languages.includes(document.languageId)) {
    reasons.push(`The setting quicksilver.languages does not name ${document.languageId}: here completions come only on request (Alt+\\).`);
  }
  return reasons;
}

/** One line for each reason in the editor for which even asking would show nothing. */
export function askingReasons(document: (AboutDocument & { hasSelection?: boolean }) | undefined): string[] {
  if (document === undefined) {
    return ['No document has the cursor.'];
  }
  const reasons: string[] = [];
  if (!SCHEMES.includes(document.scheme)) {
    reasons.push(`This document is no file on this machine (${document.scheme}:), and only those are completed.`);
  }
  if (!document.inlineSuggest) {
    reasons.push('The setting editor.inlineSuggest.enabled is off, so the editor shows no inline completions at all.');
  }
  if (document.hasSelection === true) {
    reasons.push('Nothing is completed while text is selected.');
  }
  return reasons;
}

/** The reason in a line of the server's about its last answer. */
export function plainReason(line: string): string {
  return /got none: (.*)$/.exec(line)?.[1] ?? line;
}
