import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { verifyCertificate } from '../certificate/verify.ts';
import { exitCodes } from '../exit-codes.ts';
import { writeJson } from '../output/write-json.ts';
import { verdictText } from '../views/certificate.ts';
import { defineCommand, type CommandHost } from './define.ts';
import { declareJson, jsonOption } from './options.ts';

export function defineCertificateCommands(program: Command, host: CommandHost): void {
  const parent = program.command('certificate').summary('Check certificates of erasure, offline');
  parent.description('Certificates of erasure: compact JWS, signed with Ed25519.');
  defineCommand(parent, host, {
    usage: 'verify <file>',
    summary: 'Check a certificate and print what it says',
    details:
      'Works offline. The key is the one that you give: take it once from a source that you trust (DATA/certificate-key.pem of a local server) and keep it. Exit code 1 when a check does not hold; the first that fails is named.',
    examples: ['certificate verify erasure.jws --public-key .lethe/certificate-key.pem'],
    declare: (command) => {
      command.requiredOption('--public-key <file>', 'Ed25519 public key, PEM');
      declareJson(command);
    },
    options: jsonOption.extend({ publicKey: z.string().min(1) }),
    run: async ({ options, operands: [file = ''], surroundings: { terminal } }) => {
      const jws = await readFile(file, 'utf8');
      const verdict = await verifyCertificate(jws, await readFile(options.publicKey, 'utf8'));
      if (options.json) {
        const { isValid, checks, certificate } = verdict;
        writeJson(terminal, { valid: isValid, checks, certificate });
      } else terminal.out(verdictText(verdict, terminal.outStyle));
      return verdict.isValid ? exitCodes.ok : exitCodes.failed;
    },
  });
}
