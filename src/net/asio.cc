// The one translation unit that holds the code of Asio and Beast; all others see declarations
// (BOOST_ASIO_SEPARATE_COMPILATION, BOOST_BEAST_SEPARATE_COMPILATION in CMakeLists.txt).

#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
