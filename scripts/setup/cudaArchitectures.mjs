// Which GPUs a build of the addon is for.
import { spawnSync } from 'node:child_process';

/** What every package has code for, as `major * 10 + minor`; as in native/cmake/cuda.cmake. */
const compiled = [75, 80, 86, 89, 90, 100, 120];
/** Where this machine has no GPU, a build is for trying things out: one architecture, Hopper, has all the code there is. */
const withoutGpu = '90a-real';

/** CMake's list for the GPUs of this machine. */
export function ownCudaArchitectures() {
  const { stdout, status } = spawnSync('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader'], { encoding: 'utf8' });
  return cudaArchitecturesFor(status === 0 ? stdout.split('\n') : []);
}

/**
 * CMake's list for GPUs of these compute capabilities, such as `8.9`. Code of the same major version runs; of an earlier one only PTX does, which
 * the driver compiles.
 * @param {readonly string[]} capabilities
 */
export function cudaArchitecturesFor(capabilities) {
  const wanted = capabilities.flatMap((text) => {
    const [, major, minor] = /^\s*(\d+)\.(\d)\s*$/.exec(text) ?? [];
    if (major === undefined || minor === undefined) return [];
    const capability = Number(major) * 10 + Number(minor);
    const nearest = compiled.findLast((known) => known <= capability);
    if (nearest === undefined) return [];
    if (Math.floor(nearest / 10) !== Number(major)) return [`${nearest}-virtual`];
    return [nearest === 90 ? withoutGpu : `${nearest}-real`];
  });
  return wanted.length === 0 ? withoutGpu : [...new Set(wanted)].join(';');
}
