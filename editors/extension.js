// Starts `jobspec lsp` for .job files and hands VS Code's questions to it.
"use strict";

const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const command = workspace.getConfiguration("jobspec").get("command");
  const server = { command, args: ["lsp", "--stdio"] };
  client = new LanguageClient("jobspec", "jobspec", server, { documentSelector: [{ language: "jobspec" }] });
  return client.start();
}

function deactivate() {
  return client && client.stop();
}

module.exports = { activate, deactivate };
