// A C interface to libtorch's CUDA graphs, which tch does not have. See cuda_graph.rs.
//
// It is a library of its own, because it needs libtorch_cuda.so, which is loaded only when a GPU is asked for.

#include <exception>
#include <memory>
#include <string>

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

namespace {

struct Recorder {
    at::cuda::CUDAGraph graph;
    // Recording needs a stream other than the default one. Until it ends, this thread's operations go there.
    std::unique_ptr<c10::cuda::CUDAStreamGuard> stream;
};

// Runs `work` and returns nullptr, or the message of its exception, which stays until this thread's next call.
template <typename Work>
const char *catching(Work work) {
    static thread_local std::string message;
    try {
        work();
        return nullptr;
    } catch (const c10::Error &error) {
        message = error.what_without_backtrace();
    } catch (const std::exception &error) {
        message = error.what();
    } catch (...) {
        message = "an unknown exception";
    }
    return message.c_str();
}

}  // namespace

extern "C" {

// Starts recording the operations that this thread launches on a GPU.
const char *coinop_graph_begin(int device, Recorder **out) {
    return catching([&] {
        auto recorder = std::make_unique<Recorder>();
        const auto index = static_cast<c10::DeviceIndex>(device);
        const c10::cuda::CUDAGuard guard(index);
        // Operations under way on the default stream may still use memory that recorded ones will be given.
        c10::cuda::device_synchronize();
        const auto stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index);
        recorder->stream = std::make_unique<c10::cuda::CUDAStreamGuard>(stream);
        // Other threads may use the GPU meanwhile.
        recorder->graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
        *out = recorder.release();
    });
}

// Ends recording, also after an error. A graph whose recording failed can only be freed.
const char *coinop_graph_end(Recorder *recorder) {
    const char *error = catching([&] { recorder->graph.capture_end(); });
    recorder->stream.reset();
    return error;
}

// Launches the recorded operations and does not wait for them.
const char *coinop_graph_replay(Recorder *recorder) {
    return catching([&] { recorder->graph.replay(); });
}

void coinop_graph_free(Recorder *recorder) { delete recorder; }

}  // extern "C"
