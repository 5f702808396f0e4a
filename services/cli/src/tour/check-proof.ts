import path from 'node:path';
import { PrivacyServiceService } from '@lethe/proto/gen/lethe/privacy/v1/service.ts';
import { verifyCertificate } from '../certificate/verify.ts';
import { dataFiles, readIfThere } from '../connection/data-files.ts';
import { writeFileSafely } from '../output/write-file.ts';
import { verdictText } from '../views/certificate.ts';
import { printHeading, type Tour } from './tour.ts';
import type { Showcase } from './showcase.ts';

/** Fetches the certificate, keeps it in the data folder and checks it as anybody could. */
export async function checkProof(
  tour: Tour,
  { tenantId, erasureId }: Showcase,
): Promise<{ readonly isValid: boolean; readonly file: string }> {
  const { session, dataFolder, surroundings } = tour;
  const { terminal, commandName } = surroundings;
  const officer = session.as({ tenantId, roles: ['privacy-officer'] });
  const { certificateJws } = await officer.unary(PrivacyServiceService.getCertificate, {
    erasureId,
  });
  const files = dataFiles(dataFolder);
  const file = path.join(files.certificates, `${erasureId}.jws`);
  await writeFileSafely(file, `${certificateJws}\n`);
  const pinned = await readIfThere(files.certificatePublic);
  // Away from the server's data folder there is no key to pin; the one that the server says is better than none.
  const publicKey =
    pinned ?? (await session.anonymous.unary(PrivacyServiceService.getSigningKey, {})).publicKeyPem;
  const source =
    pinned === undefined ? 'the key that the server gave' : 'the key in the data folder';
  printHeading(tour, 'The proof', `checked offline, with ${source}`);
  const verdict = await verifyCertificate(certificateJws, publicKey);
  terminal.out(verdictText(verdict, terminal.outStyle));
  terminal.out(`  ${terminal.outStyle.dim('kept in')} ${file}\n`);
  const keyFile = pinned === undefined ? 'KEY.pem' : files.certificatePublic;
  terminal.out(
    `  ${terminal.outStyle.dim('check it')} ${commandName} certificate verify ${file} --public-key ${keyFile}\n`,
  );
  return { isValid: verdict.isValid, file };
}
