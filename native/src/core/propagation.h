// What every backend has in common where it sends samples through a model: what each step reads and makes, for how long that is needed, and
// what is drawn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"
#include "fp8/job.h"

namespace fp8 {

// One step among the others of its task. Steps are named by their index.
struct PropagationFlow {
  std::size_t width = 0;        // of what it makes; a store makes nothing
  std::size_t a = 0;            // the step that made what it reads, where it reads
  std::size_t b = 0;            // the same of what it reads besides, else as a
  std::size_t last_reader = 0;  // the last step that reads what it makes; itself where none does
};

// One for each step. Throws Error{internal} where a step reads what no step made, or sizes do not fit.
std::vector<PropagationFlow> flow_of(const PropagateTask& task);

// Whether the step reads other values than those of its weights.
bool reads_values(const PropagateStep& step);

// Whether each value that a step makes comes from values of its own sample at its own place alone, or, for norms, of its own sample: it may
// then take the place of what it is made of.
bool works_in_place(const PropagateStep& step);

// The most values for each sample that are needed at the same time.
std::size_t widest_moment(const PropagateTask& task, const std::vector<PropagationFlow>& flow);

// For each sample a row of a table, each as likely as the others.
std::vector<std::size_t> draw_rows(Random& random, std::size_t samples, std::size_t rows);

// For each sample another's index, each once.
std::vector<std::size_t> draw_order(Random& random, std::size_t samples);

// Standard normal values: what a diffusion model starts from. A copy of the sequence; draws_of_normal draws for each value.
void draw_noise(Random random, std::span<float> values);

// Of a moment between 0 and 1000, one draw, the cosines and then the sines at frequencies from 1 down to 1/10000: what diffusion
// transformers make of their time step.
void draw_time(Random random, std::span<float> values);

}  // namespace fp8
