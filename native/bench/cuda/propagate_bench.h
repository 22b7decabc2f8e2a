// Times sending samples through one layer of a language model, on the GPU and on the CPU.
#pragma once

namespace fp8::cuda {

// Writes half a gigabyte of weights to the system's temporary folder, and removes it. Prints one JSON object a line.
void bench_propagate();

}  // namespace fp8::cuda
