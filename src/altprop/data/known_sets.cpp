// The data sets that can be downloaded, with the checksums of their original distribution.
//
// The page of CIFAR has MD5 only (c32a1d4ab5d03f1284b67883e8d87530,
// 03b5dce01913d631647c71ecec9e9cb8); the SHA-256 of its archives are those of tensorflow/datasets
// and JuliaML/MLDatasets.jl, those of the files in them those of ankane/torchvision-ruby. Of the
// files of names none are published.
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/download.h"

namespace altprop::data {

namespace {

const std::vector<RemoteSet>& known() {
  static const std::vector<RemoteSet> sets{
      {"mnist",
       "mnist",
       {"https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/"},
       {{"train-images-idx3-ubyte.gz", "sha256",
         "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9912422},
        {"train-labels-idx1-ubyte.gz", "sha256",
         "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28881},
        {"t10k-images-idx3-ubyte.gz", "sha256",
         "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1648877},
        {"t10k-labels-idx1-ubyte.gz", "sha256",
         "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4542}},
       {}},
      {"fashion-mnist",
       "fashion-mnist",
       {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"},
       {{"train-images-idx3-ubyte.gz", "sha256",
         "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26421880},
        {"train-labels-idx1-ubyte.gz", "sha256",
         "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29515},
        {"t10k-images-idx3-ubyte.gz", "sha256",
         "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4422102},
        {"t10k-labels-idx1-ubyte.gz", "sha256",
         "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5148}},
       {}},
      {"cifar-10",
       "cifar-10-batches-bin",
       {"https://www.cs.toronto.edu/~kriz/"},
       {{"cifar-10-binary.tar.gz", "sha256",
         "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", 170052171}},
       {{"data_batch_1.bin", "sha256",
         "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5", 30730000},
        {"data_batch_2.bin", "sha256",
         "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed", 30730000},
        {"data_batch_3.bin", "sha256",
         "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67", 30730000},
        {"data_batch_4.bin", "sha256",
         "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48", 30730000},
        {"data_batch_5.bin", "sha256",
         "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add", 30730000},
        {"test_batch.bin", "sha256",
         "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b", 30730000},
        {"batches.meta.txt", "", ""}}},
      {"cifar-100",
       "cifar-100-binary",
       {"https://www.cs.toronto.edu/~kriz/"},
       {{"cifar-100-binary.tar.gz", "sha256",
         "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", 168513733}},
       {{"train.bin", "sha256", "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
         153700000},
        {"test.bin", "sha256", "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
         30740000},
        {"fine_label_names.txt", "", ""},
        {"coarse_label_names.txt", "", ""}}},
      {"tinyshakespeare",
       "tinyshakespeare",
       {"https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/"},
       {{"input.txt", "sha256", "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
         1115394}},
       {}},
      {"names",
       "names",
       {"https://raw.githubusercontent.com/spro/practical-pytorch/master/data/names/"},
       {{"Arabic.txt", "sha256", "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc",
         13190},
        {"Chinese.txt", "sha256",
         "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465", 1246},
        {"Czech.txt", "sha256", "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7",
         3916},
        {"Dutch.txt", "sha256", "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3",
         2351},
        {"English.txt", "sha256",
         "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2", 27125},
        {"French.txt", "sha256", "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95",
         2178},
        {"German.txt", "sha256", "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db",
         5610},
        {"Greek.txt", "sha256", "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6",
         1981},
        {"Irish.txt", "sha256", "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058",
         1858},
        {"Italian.txt", "sha256",
         "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4", 5657},
        {"Japanese.txt", "sha256",
         "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f", 7622},
        {"Korean.txt", "sha256", "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136",
         423},
        {"Polish.txt", "sha256", "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826",
         1165},
        {"Portuguese.txt", "sha256",
         "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53", 554},
        {"Russian.txt", "sha256",
         "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c", 85168},
        {"Scottish.txt", "sha256",
         "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd", 752},
        {"Spanish.txt", "sha256",
         "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7", 2284},
        {"Vietnamese.txt", "sha256",
         "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d", 339}},
       {}},
  };
  return sets;
}

}  // namespace

std::vector<const RemoteSet*> downloadable() {
  std::vector<const RemoteSet*> out;
  for (const RemoteSet& set : known()) out.push_back(&set);
  return out;
}

const RemoteSet& find_remote(const std::string& name) {
  std::vector<std::string> names;
  for (const RemoteSet& set : known()) {
    if (set.name == name) return set;
    names.push_back(set.name);
  }
  throw UsageError("there is no data set '" + name + "' to download" +
                   text::suggestion(name, names));
}

}  // namespace altprop::data
