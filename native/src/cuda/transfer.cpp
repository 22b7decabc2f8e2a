#include "transfer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "fp8/error.h"

namespace fp8::cuda {

Uploader::Uploader(int ordinal, std::size_t threads, std::stop_token stop, FailureHandler on_failure)
    : stop_(std::move(stop)), on_failure_(std::move(on_failure)) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this, ordinal] { work(ordinal); });
}

Uploader::~Uploader() { queue_.close(); }

void Uploader::upload(const File& file, std::uint64_t offset, std::uint64_t bytes, void* destination, cudaStream_t stream,
                      const std::string& tensor, const std::shared_ptr<Countdown>& done) {
  for (std::uint64_t at = 0; at < bytes; at += transfer_chunk_bytes) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(transfer_chunk_bytes, bytes - at));
    queue_.push({&file, offset + at, size, static_cast<std::byte*>(destination) + at, stream, &tensor, done});
  }
}

void Uploader::work(int ordinal) {
  try {
    std::optional<Chunk> chunk = queue_.pop(stop_);
    // Buffers and stream are made when there is something to do: pinning memory takes time.
    if (!chunk) return;
    check(cudaSetDevice(ordinal), "cudaSetDevice");
    const Stream stream;
    const PinnedBuffer buffers[2] = {PinnedBuffer(transfer_chunk_bytes), PinnedBuffer(transfer_chunk_bytes)};
    const Event copied[2];
    for (int turn = 0; chunk; turn ^= 1, chunk = queue_.pop(stop_)) {
      check(cudaEventSynchronize(copied[turn].get()), "copying to the GPU");
      chunk->file->read(chunk->offset, {buffers[turn].data(), chunk->bytes}, *chunk->tensor);
      check(cudaMemcpyAsync(chunk->destination, buffers[turn].data(), chunk->bytes, cudaMemcpyHostToDevice, stream.get()),
            "copying to the GPU");
      check(cudaEventRecord(copied[turn].get(), stream.get()), "cudaEventRecord");
      check(cudaStreamWaitEvent(chunk->stream, copied[turn].get()), "cudaStreamWaitEvent");
      chunk->done->count_down();
    }
    (void)cudaStreamSynchronize(stream.get());
  } catch (...) {
    on_failure_(std::current_exception());
  }
}

Downloader::Downloader(int ordinal, std::size_t threads, std::stop_token stop, FailureHandler on_failure)
    : stop_(std::move(stop)), on_failure_(std::move(on_failure)) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this, ordinal] { work(ordinal); });
}

Downloader::~Downloader() { finish(); }

void Downloader::finish() {
  queue_.close();
  threads_.clear();
}

void Downloader::download(const void* source, std::uint64_t bytes, const File& file, std::uint64_t offset, const std::string& tensor,
                          const std::function<void()>& written) {
  for (std::uint64_t at = 0; at < bytes; at += transfer_chunk_bytes) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(transfer_chunk_bytes, bytes - at));
    queue_.push({static_cast<const std::byte*>(source) + at, size, &file, offset + at, &tensor, written});
  }
}

void Downloader::work(int ordinal) {
  try {
    std::optional<Stream> stream;
    std::optional<PinnedBuffer> buffer;
    while (std::optional<Item> item = queue_.pop(stop_)) {
      if (item->source != nullptr) {
        if (!stream) {
          check(cudaSetDevice(ordinal), "cudaSetDevice");
          stream.emplace();
          buffer.emplace(transfer_chunk_bytes);
        }
        check(cudaMemcpyAsync(buffer->data(), item->source, item->bytes, cudaMemcpyDeviceToHost, stream->get()), "copying from the GPU");
        check(cudaStreamSynchronize(stream->get()), "copying from the GPU");
        item->file->write(item->offset, {buffer->data(), item->bytes}, *item->tensor);
      }
      item->job();
    }
  } catch (...) {
    on_failure_(std::current_exception());
  }
}

}  // namespace fp8::cuda
