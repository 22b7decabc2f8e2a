#include "core/propagation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "fp8/error.h"

namespace fp8 {

namespace {

using Kind = PropagateStep::Kind;

bool reads_two(const PropagateStep& step) { return step.kind == Kind::multiply || step.kind == Kind::add || step.kind == Kind::modulate; }

class FlowBuilder {
 public:
  explicit FlowBuilder(const PropagateTask& task) : task_(task), made_by_(task.register_count) {}

  std::vector<PropagationFlow> build() {
    for (std::size_t index = 0; index < task_.steps.size(); ++index) {
      const PropagateStep& step = task_.steps[index];
      PropagationFlow flow;
      flow.last_reader = index;
      if (reads_values(step)) {
        flow.a = read(step.a, index);
        flow.b = reads_two(step) ? read(step.b, index) : flow.a;
      }
      flow.width = width_of(step, flow);
      steps_.push_back(flow);
      if (step.kind == Kind::store) continue;
      if (flow.width == 0) refuse("makes nothing");
      if (step.out >= made_by_.size()) refuse("writes a register that there is not");
      made_by_[step.out] = index;
    }
    return std::move(steps_);
  }

 private:
  std::size_t read(std::uint32_t index_of_register, std::size_t reader) {
    if (index_of_register >= made_by_.size() || !made_by_[index_of_register]) refuse("reads values that no step has made");
    const std::size_t maker = *made_by_[index_of_register];
    steps_[maker].last_reader = reader;
    return maker;
  }

  std::size_t width_of(const PropagateStep& step, const PropagationFlow& flow) const {
    const std::size_t width = reads_values(step) ? steps_[flow.a].width : 0;
    switch (step.kind) {
      case Kind::gather:
        if (step.rows == 0) refuse("draws from an empty table");
        return static_cast<std::size_t>(element_count(*step.weight) / step.rows);
      case Kind::noise:
      case Kind::time:
        return step.rows;
      case Kind::linear:
        if (element_count(*step.weight) != std::uint64_t{step.rows} * width) refuse("has a matrix of another shape");
        if (step.bias) expect_size(*step.bias, step.rows);
        return step.rows;
      case Kind::rms_norm:
      case Kind::layer_norm:
        if (step.weight) expect_size(*step.weight, width);
        if (step.bias) expect_size(*step.bias, width);
        return width;
      case Kind::multiply:
      case Kind::add:
      case Kind::modulate:
        if (steps_[flow.b].width != width) refuse("joins values of different widths");
        return width;
      case Kind::activate:
      case Kind::shuffle:
        return width;
      case Kind::slice:
        if (width < std::size_t{step.rows} * (step.part + std::size_t{1})) refuse("takes a part that is not there");
        return step.rows;
      case Kind::repeat_heads:
        if (step.rows == 0 || width % step.rows != 0) refuse("has heads of another size");
        return width * step.times;
      case Kind::store:
        return 0;
    }
    return 0;
  }

  void expect_size(const TensorValues& values, std::size_t size) const {
    if (element_count(values) != size) refuse("has a vector of another size");
  }

  [[noreturn]] void refuse(const char* why) const {
    throw Error(ErrorCode::internal, std::string("A propagation step ") + why + ".", task_.name);
  }

  const PropagateTask& task_;
  std::vector<PropagationFlow> steps_;
  std::vector<std::optional<std::size_t>> made_by_;  // what each register holds
};

}  // namespace

std::vector<PropagationFlow> flow_of(const PropagateTask& task) { return FlowBuilder(task).build(); }

bool reads_values(const PropagateStep& step) { return step.kind != Kind::gather && step.kind != Kind::noise && step.kind != Kind::time; }

bool works_in_place(const PropagateStep& step) {
  return reads_two(step) || step.kind == Kind::activate || step.kind == Kind::rms_norm || step.kind == Kind::layer_norm;
}

std::size_t widest_moment(const PropagateTask& task, const std::vector<PropagationFlow>& flow) {
  std::size_t held = 0;
  std::size_t widest = 0;
  for (std::size_t i = 0; i < flow.size(); ++i) {
    held += flow[i].width;
    widest = std::max(widest, held);
    const auto give_back = [&](std::size_t maker) { held -= flow[maker].last_reader == i ? flow[maker].width : 0; };
    if (reads_values(task.steps[i])) {
      give_back(flow[i].a);
      if (flow[i].b != flow[i].a) give_back(flow[i].b);
    }
    if (flow[i].last_reader == i) give_back(i);
  }
  return widest;
}

std::vector<std::size_t> draw_rows(Random& random, std::size_t samples, std::size_t rows) {
  std::vector<std::size_t> chosen(samples);
  for (std::size_t& row : chosen) row = random.below(rows);
  return chosen;
}

std::vector<std::size_t> draw_order(Random& random, std::size_t samples) {
  std::vector<std::size_t> order(samples);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = samples; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

void draw_noise(Random random, std::span<float> values) {
  for (float& value : values) value = static_cast<float>(random.normal());
}

void draw_time(Random random, std::span<float> values) {
  const std::size_t half = values.size() / 2;
  const double moment = 1000 * random.uniform();
  values.back() = 0;
  for (std::size_t i = 0; i < half; ++i) {
    const double angle = moment * std::pow(1e-4, static_cast<double>(i) / static_cast<double>(half));
    values[i] = static_cast<float>(std::cos(angle));
    values[half + i] = static_cast<float>(std::sin(angle));
  }
}

}  // namespace fp8
