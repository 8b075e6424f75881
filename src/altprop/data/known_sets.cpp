// The data sets that can be downloaded, with the checksums of their original distribution.
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
         "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
        {"train-labels-idx1-ubyte.gz", "sha256",
         "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
        {"t10k-images-idx3-ubyte.gz", "sha256",
         "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
        {"t10k-labels-idx1-ubyte.gz", "sha256",
         "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"}},
       {}},
      {"fashion-mnist",
       "fashion-mnist",
       {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"},
       {{"train-images-idx3-ubyte.gz", "sha256",
         "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
        {"train-labels-idx1-ubyte.gz", "sha256",
         "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
        {"t10k-images-idx3-ubyte.gz", "sha256",
         "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
        {"t10k-labels-idx1-ubyte.gz", "sha256",
         "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"}},
       {}},
      {"cifar-10",
       "cifar-10-batches-bin",
       {"https://www.cs.toronto.edu/~kriz/"},
       {{"cifar-10-binary.tar.gz", "md5", "c32a1d4ab5d03f1284b67883e8d87530"}},
       {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
        "data_batch_5.bin", "test_batch.bin", "batches.meta.txt"}},
      {"cifar-100",
       "cifar-100-binary",
       {"https://www.cs.toronto.edu/~kriz/"},
       {{"cifar-100-binary.tar.gz", "md5", "03b5dce01913d631647c71ecec9e9cb8"}},
       {"train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt"}},
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
