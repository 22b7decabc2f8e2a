#!/usr/bin/env bash
# Packs everything that scripts/gpu-check needs into out/gpu/pack.tar.xz, for a GPU machine without Node, network or these libraries: the
# addon, the C++ tests and benchmarks, the bundles, and this machine's Node. Build first: npm run build && npm run test:native.
#
#   scripts/gpu-pack.sh [FOLDER_WITH_NATIVE_BUILD]      default: build/native-tests
set -euo pipefail
cd "$(dirname "$0")/.."
native=${1:-build/native-tests}
addon=${FP8_NATIVE:-build/Release/fp8.node}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/bench" "$stage/dist" out/gpu
cp "$addon" "$stage/fp8.node"
cp "$native/test/cuda/cuda_test" "$native/bench/cuda/cuda_bench" "$stage/"
cp dist/fp8.js dist/engine.js "$stage/dist/"
node_modules/.bin/esbuild bench/gpu.ts --bundle --platform=node --format=cjs --target=node20 --outfile="$stage/bench/gpu.cjs" --log-level=warning
cp "$(readlink -f "$(command -v node)")" "$stage/node"
strip "$stage/node" "$stage/fp8.node" "$stage/cuda_test" "$stage/cuda_bench"
tar -C "$stage" -cf - . | xz -T0 -6 > out/gpu/pack.tar.xz
ls -l out/gpu/pack.tar.xz
