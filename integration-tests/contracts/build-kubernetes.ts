import { buildKubernetes, findKubernetes } from '../../deploy/local/kubernetes-binaries.ts';
import { toolPlaces } from '../../deploy/local/prebuilt-tool.ts';

/** Builds the control plane and kwok unless they are among the tools or in the cache; prints where they are. */
const places = toolPlaces(process.env);
if (findKubernetes(places) === undefined) await buildKubernetes(places);
const found = findKubernetes(places);
if (found === undefined) throw new Error('the build left nothing');
console.log(`${found.controlPlane}\n${found.kwok}`);
